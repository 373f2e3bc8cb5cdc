// Package guide explains redirects and repeated submissions: the status codes, and
// cards of known failures. A card's claim can be run again: its reproduction starts
// the faulty server and the mended one, and shows the difference.
package guide

import (
	"context"
	"errors"
)

// Card explains one known failure.
type Card struct {
	ID         string   // stable: "flask-default-302"
	Title      string   // what goes wrong, in one line
	Signature  []string // what a browser, log or test prints, as it is printed
	Symptom    string   // what people see
	Mechanism  string   // why it happens
	Fixes      []Fix
	Prevent    string   // what keeps it from coming back
	Setting    string   // which setting of seeother mends it, and how it is written
	Docs       string   // the page of this documentation that tells more: "docs/forms.md"
	Affected   string   // products and versions
	Sources    []string // addresses of standards, manuals and the products' own words
	Issues     []string // "owner/repo#N"
	Findings   []string // ids of findings of "seeother audit" and "seeother check" that lead here
	Checked    string   // day on which the claims were last checked: "2026-11-26"
	Confidence Confidence
	Repro      Reproduction
}

// Fix is one way to mend a failure.
type Fix struct {
	Text    string // what to do
	NotWhen string // when this is the wrong mend
}

// Confidence is how sure a card is.
type Confidence string

// The confidences.
const (
	High   Confidence = "high"   // the real thing was seen doing it
	Medium Confidence = "medium" // its mechanism was, and its makers say that it works so
	Low    Confidence = "low"    // reports of users alone
)

// Reproduction shows a card's claim. Its servers listen on loopback and are gone
// when it returns.
type Reproduction struct {
	// Real is the product that runs, "nginx" or "Flask"; empty: its mechanism is
	// shown by a small server of our own.
	Real string
	// Run does to the faulty server and to the mended one what a user does, and tells
	// what came of it. It is an error when it could not be tried: a program that is not
	// installed is a *MissingError.
	Run func(ctx context.Context, lab *Lab) (Outcome, error)
	// Mechanism is what runs in the place of Run where the product is not installed: a
	// small server or client of our own. It is nil where there is none.
	Mechanism func(ctx context.Context, lab *Lab) (Outcome, error)
	// Ask does the same to a server of the user's, at an http or https URL. What it did
	// is in the outcome's Faulty. It is nil where that cannot be asked from outside, or
	// not without leaving something behind.
	Ask func(ctx context.Context, lab *Lab, url string) (Outcome, error)
}

// Outcome is what a reproduction saw.
type Outcome struct {
	Version string // of the real product: "nginx/1.26.3"
	Faulty  []Step // what happened as it is
	Mended  []Step // what happened with the mend
	// Shown is whether the faulty server failed as the card says and the mended one
	// did not.
	Shown bool
	// Missing is why the mechanism ran and not the product; nil: what was to run did.
	Missing *MissingError
}

// Try is Run; or, where the product is not installed, Mechanism.
func (r Reproduction) Try(ctx context.Context, lab *Lab) (Outcome, error) {
	out, err := r.Run(ctx, lab)
	missing, ok := errors.AsType[*MissingError](err)
	if !ok || r.Mechanism == nil {
		return out, err
	}
	out, err = r.Mechanism(ctx, lab)
	out.Missing = missing
	return out, err
}

// Step is one thing that happened, in order.
type Step struct {
	Text string `json:"text"` // "POST /orders -> 302 /orders/1"
}
