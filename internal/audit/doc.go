// Package audit walks a site as its visitors do, and says what is wrong with its
// redirects and forms.
package audit
