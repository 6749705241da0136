// Package hiveoracle holds the tests that compare regf with the libraries of others:
// libhivex, libregf and libregfi, each behind a small C program in testdata that
// prints the content of a hive. One table in the tests lists the differences that were
// reviewed, and which side is at fault.
//
// It is a package of its own because the comparison of every key, value, class and
// descriptor of every hive takes longer than all tests of regf.
package hiveoracle
