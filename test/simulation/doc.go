// Package simulation runs gateways, clients, an app and one store in a world
// that a seed decides: messages are delayed, lost and repeated, gateways are
// killed, clocks jump. Time is simulated, so that an hour takes a moment. At the
// end nothing may have run twice, and no answer that a client got may be lost.
package simulation
