// Package fetch compares seeother.Client with what follows redirects by the
// Fetch standard already: Node's fetch and Chromium's. All get the same cells
// and the same server, which writes down what arrives.
package fetch
