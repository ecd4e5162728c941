"""MongoDB, for the resources that `app new --store mongodb` has written."""
