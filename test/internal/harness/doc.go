// Package harness is what the tests of the whole program share: the command
// under test, processes that end with their test, gateways, and a Chromium.
package harness
