// Package prefill knows how much work a prompt is: for each model, how many tokens a request of a given size has, and how many tokens a
// second a server reads. It also hands each turn of a conversation to package warm. Package session counts the backlogs of upstreams with it, and package proxy teaches it with the usage of answers.
//
// A model is known by what its servers report, so every figure is an average of the last answers. Reading a figure takes no lock and
// allocates nothing.
//
// The numbers of figure.go are tested in model_test.go.
package prefill
