// Package maintenance keeps when a site is down on purpose: since an operator
// said so, or at a planned time. All of it is one record in the store, so that
// it outlives a restart and all gateways on a store agree. The store's clock
// decides when a planned one begins and ends.
//
// What a gateway does with its requests meanwhile is not known here.
package maintenance
