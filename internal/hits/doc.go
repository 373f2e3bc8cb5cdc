// Package hits remembers which redirect rules are in use: how often each was
// hit, when last, and since when that is counted. So a rule that nobody needs
// any more can be told from one that is only young.
//
// A Counter counts at no cost to requests, a Recorder writes what was counted
// to the store now and then. A rule is known by a hash of what it matches and
// gives, so that it keeps its count when it moves to another line or file.
// Several gateways may count into one store.
package hits
