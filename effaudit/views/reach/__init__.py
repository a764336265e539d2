"""What positions of a tensor see of the graph inputs: the algebra and the operator rules of `receptive_field`."""
