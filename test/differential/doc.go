// Package differential compares imported rules with the server that they come
// from. A test starts the real server with the original file, sends it
// requests that are made from the rules and the file and then changed at
// random, asks the imported table the same, and compares status and Location.
//
// What may differ is in Classes, and nothing else may.
//
// SEEOTHER_DIFFERENTIAL_REQUESTS and SEEOTHER_DIFFERENTIAL_SEED ask for more,
// or other, requests, SEEOTHER_DIFFERENTIAL_CONFIGS for more configurations
// made at random, and SEEOTHER_DIFFERENTIAL_SHOW=CLASS prints what is in a
// class.
package differential
