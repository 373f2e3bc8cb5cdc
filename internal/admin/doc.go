// Package admin is what an operator sees and does while a gateway runs: its
// health, its metrics, the decisions as they are made, the submissions that
// nobody knows the outcome of, and the stages. The same things are one page
// for people and one JSON API, described at /openapi.json, for programs.
//
// It owns nothing that it shows: what it needs comes in as Sources, and the
// command wires them. It listens on loopback only, unless a token is set; see
// CheckListen.
package admin
