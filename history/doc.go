// Package history tells what each layer of a chain did: to one file ([File]), to one
// registry key ([Key]), and which bytes of the layers nobody sees ([Survey]).
//
// Layers are read as sources, base first, each once and to its end, which verifies those of
// an image.
package history
