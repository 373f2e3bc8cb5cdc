// Command seeother makes redirects right and submissions happen once: as a
// gateway in front of an app, and as the tools beside it. Each verb is one
// file; run.go is the one that wires everything.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
