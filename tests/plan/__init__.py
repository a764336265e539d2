"""Plans of memory, judged by hand, by brute force and by what compilers and runtimes make of them."""
