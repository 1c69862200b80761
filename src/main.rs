//! Plugin or command line? Then hand over.

fn main() {}
