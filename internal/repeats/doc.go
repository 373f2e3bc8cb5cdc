// Package repeats reads access logs, and tells which submissions were probably made
// twice and which redirects lost a method.
package repeats
