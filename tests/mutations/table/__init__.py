"""The mutations: a module for each part of the program, with its `MUTATIONS`."""
