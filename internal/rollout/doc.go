// Package rollout holds the stages in force and lets one rise only behind smoke
// requests: requests with an expected answer that are sent through the gateway
// as it would be. It remembers the stages in a store.Store, so that a restart
// neither undoes what an operator did nor asks again for what was shown.
//
// Deciding is in plain functions (plan, above); Rollout carries it out and owns
// no gateway: it is told how to put stages in force and how to try them.
package rollout
