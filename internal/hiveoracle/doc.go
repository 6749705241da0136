// Package hiveoracle holds the tests that compare regf with the libraries of others:
// libhivex, libregf and libregfi, each behind a small C program in testdata that
// prints what it reads. The differences that were found and reviewed, with whose
// fault they are, stand in one table in the tests.
//
// It is a package of its own because the comparison of every key, value, class and
// descriptor of every hive takes longer than all tests of regf.
package hiveoracle
