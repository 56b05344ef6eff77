// Package identity finds the session that a request belongs to. A Search reads the head and the body of one request; an
// Identifier holds what the configuration says about all requests: where ids are looked for, and the names of models.
//
// Package proxy calls it for every request, package admin to find the sessions of an id. It knows no upstreams and keeps
// nothing of a request.
//
// The Identifier is tested through the Search, with what real clients send (clients_test.go). The rules of Config are
// tested in package config.
package identity
