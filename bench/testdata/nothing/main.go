// Command nothing is the floor of start-up: a Go program that ends at once.
package main

func main() {}
