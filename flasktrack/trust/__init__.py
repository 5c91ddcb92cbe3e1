"""What is trusted beside the database: keys, anchors, checkpoints, and the tree that they speak of."""
