// Package forms tests what `seeother run --protect` does for apps that nobody here
// wrote, in real browsers: WordPress, Django's admin and a Rails scaffold, as Debian
// packages them. Each app runs twice, as it is and behind a gateway; what people do
// there must have the same effects, and what they do once too often none.
package forms
