// Package session knows which conversation a request belongs to and where that conversation lives: it finds the
// session id (Identifier, Search), remembers pins (Map), and gives each request its way over the upstreams (Router,
// Route).
//
// proxy is the caller on the way of a request; admin looks sessions up. The package talks to nobody: it reads what
// it is shown and the upstreams' states.
//
// Goroutines: Map.Run, started and awaited by the caller.
package session
