// Package session knows where the requests of each conversation go: a Router gives every request its Route, the upstreams
// that the request tries. Package identity below it finds out which session a request belongs to; package pins remembers where each
// session is.
//
// Package proxy calls it for every request, package admin looks sessions up. It opens no connections: it reads what its
// callers hand it and the states of the upstreams.
//
// The rules of view.go, outcome.go and reading.go are tested in router_test.go and explain_test.go, those of config.go in package config.
package session
