"""Motion capture of others as poses of our body: readers, retargeting, and the library that training draws from."""
