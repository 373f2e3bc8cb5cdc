// Package seeother makes redirects right.
//
// [SeeOther] wraps a handler and mends what it answers: a 302 that answers a
// POST, PUT, PATCH or DELETE becomes the 303 that was meant. One line is enough:
//
//	http.ListenAndServe(addr, seeother.SeeOther(mux))
//
// [Policy] is the same with settings: stages, reports, routes.
//
// [Result], [Temporary], [Moved] and [Gone] answer a request by what is meant,
// and choose the status by the method. They write a Location only for a target
// that [ParseTarget] finds safe: a path on this site, or a listed origin.
//
// [Scripts] tells a script where it is redirected to, which a browser's fetch hides.
//
// [Status] and [Follow] are the two tables behind all this: which status says
// what is meant, and what a client does with it.
//
// [Client] follows redirects as that table says, in programs that send requests.
//
// The package needs nothing but the standard library.
package seeother
