// Package rule answers requests by redirect rules, at the cost of a lookup
// whatever their number and kind.
//
// Rules are added to a Builder, from files by Load or one by one, and built
// into a Table, which does not change. Match gives the rule that wins, and
// where to:
//
//	var m rule.Match
//	if table.Match(&req, &m) {
//		location, err := m.AppendLocation(nil)
//		...
//	}
//
// Table.Handler is the same as net/http middleware.
//
// # Which rule wins
//
// In a set that is Specific: the exact host, then "*." with the longest domain,
// then any host; and there an exact path with query parameters, an exact path,
// the longest prefix, placeholders, a regular expression. Among equals, the
// one with more conditions, then the first. In a set that is in FileOrder: the
// first that matches. Priority goes before all of this.
//
// # Targets
//
// A target is text with braces. {1} or {name} is what the path's placeholder
// or group of that name matched, {*} what the star at the end did. {path} is
// the path as it came, {decoded_path} the same decoded, {query} the query
// without its question mark, {?query} with it where there is a query, {host},
// {scheme}, {subdomain} what the star of a host stood for, {arg.NAME} the first
// parameter of that name as it came. A condition's named groups and captured
// parameters are there by their names.
//
// {1|path} says how a value is encoded: "keep" as it came, "path" everything
// that is not unreserved, a sub-delim, ":", "@" or "/" (RFC 3986), "segment"
// the slash too, "component" all but unreserved, "query" as keep and
// what would end or add a parameter, "nginx" and "apache" as these
// do. Without, what was never decoded stays as it came, and the rest is encoded
// for where it stands. Nothing that came from a request is ever searched for
// braces, and the whole must pass seeother.ParseTarget.
package rule
