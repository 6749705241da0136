// Package report counts the findings of a check, leaves out those that somebody has
// excused, and writes the rest for programs that collect findings.
//
// A [Report] runs a check and passes its findings to a [Writer]. [NewSARIF] writes SARIF
// 2.1.0 (OASIS, with errata 01), which code hosts show beside the code, and [NewJUnit]
// writes the XML of JUnit, which build servers show as tests. A check of a hostile layer
// can yield as many findings as the layer has entries: a report passes on a bounded number
// of each rule and counts the others, so that its memory is bounded too.
//
// Names in findings come from images. Both writers escape every character that is not
// printable with [wtf8.Visible], so that a name can neither reverse the text after it nor
// hold what XML forbids.
package report
