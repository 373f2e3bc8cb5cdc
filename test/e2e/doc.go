// Package e2e tests the seeother command from outside: real apps, real
// clients, real signals. Its tests start and stop everything by themselves.
package e2e
