"""What can be said about data sets before they are trained on."""
