// Package form is for what browsers submit: it makes an HTML form that is
// refreshed, double-clicked or gone back to start its work once.
//
// Submit tokens name each rendered form, so that a second submission of it is
// known for one. Pages keep what an app answered to a submission, so that
// showing it again asks the app nothing. A flash is a message for the next page.
//
// In front of an app that knows nothing of this, tokens are put into its pages
// while they pass (Forms.Handler). A Go program can put them into its templates
// instead (Forms.Param).
package form
