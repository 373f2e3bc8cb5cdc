// Package repeats reads access logs, and tells which submissions were probably made
// twice and which redirects lost a method.
//
// Read is the way in: it opens the files, merges their lines by time (source.go,
// merge.go), parses them (clf.go, jsonline.go), watches the clients that submitted
// something lately (watch.go), judges what they did (judge.go) and counts it by route
// (report.go). Memory is bounded by Limits, whatever the logs hold.
package repeats
