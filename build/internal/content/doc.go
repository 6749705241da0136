// Package content reads files from where an image gets them, a build context, an archive or
// the tree of another image, and copies them into a draft by the rules of COPY and ADD.
package content
