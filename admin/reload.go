package admin

import "net/http"

// Reloaded is what a reload of the configuration has changed. It never has a value.
type Reloaded struct {
	// Changed are the keys with another value than before.
	Changed []string `json:"changed"`
	// NeedRestart are the keys that have another value in the configuration, and that only a restart can change. The value of the
	// start stays in force.
	NeedRestart []string `json:"need_restart"`
	// Warnings are what is strange in the configuration.
	Warnings []string `json:"warnings"`
}

// reload loads the configuration again, and answers when it is in force.
func (d *Deps) reload(w http.ResponseWriter, r *http.Request) {
	if d.Reload == nil {
		writeError(w, 409, "this tether has no configuration to load again")
		return
	}
	done, err := d.Reload(r.Context())
	if err != nil {
		writeError(w, 422, err.Error())
		return
	}
	writeJSON(w, 200, done)
}
