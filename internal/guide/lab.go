package guide

// Lab is where a reproduction runs.
type Lab struct{}
