// Package redisstore keeps records in Redis 7 or Valkey: fast, and shared by
// many gateways. Everything of a partition is in one hash slot, so that a
// cluster works too.
//
// A write is two scripts. The first reads the records, and the server's clock.
// What is to be done is then decided in Go, by the rules that all stores share.
// The second checks that what was read is still so, and writes; if it is not,
// the first comes again. So there is no second copy of the rules in Lua.
//
// A write that was acknowledged is on the disk of one server. When that fails
// over to a replica, the last writes can be lost: Redis replicates after it
// answered. See docs/stores.md.
package redisstore
