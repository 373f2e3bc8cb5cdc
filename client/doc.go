// Package client asks the run-once service ([seeother once serve]) whether to do
// something, and tells it how that went. It uses the standard library only.
//
// Most programs need two functions: New, and [Client.Do], which runs a function at
// most once for a key, on all machines that ask the same service.
//
//	c, err := client.New("http://127.0.0.1:8305", token, client.Config{})
//	...
//	out, err := c.Do(ctx, client.Request{Key: "invoice-1"}, func(ctx context.Context) (any, error) {
//		return pay(ctx, invoice)
//	})
//
// Check, Extend, Complete, Release and Doubt are the steps that Do is made of, for
// work that begins in one process and ends in another.
//
// [seeother once serve]: https://github.com/seeother/seeother/blob/main/docs/service.md
package client
