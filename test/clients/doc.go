// Package clients tests the clients of the run-once service, in Go, Python and
// TypeScript, against the real program. Each has the same tests.
package clients
