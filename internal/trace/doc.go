// Package trace follows a request from outside, hop by hop, and tells what each
// answer does to method, body, headers and cookies.
package trace
