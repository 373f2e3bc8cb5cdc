// Package audit walks a site as its visitors do, and says what is wrong with its
// redirects and forms.
//
// [Run] is the walk: a queue of pages, forms and probes on disk, workers that do
// one exchange at a time, and one goroutine that merges what they find in the
// order of the queue, so that the same site gives the same report. What an
// answer means is decided by functions of values alone (judge.go, csp.go).
//
// All text in a [Report] comes from a server that may be hostile: whoever shows
// it escapes it.
package audit
