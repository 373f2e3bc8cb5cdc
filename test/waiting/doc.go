// Package waiting holds the waiting page of package operation against a browser that
// runs no scripts.
package waiting
