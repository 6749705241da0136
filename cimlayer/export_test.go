package cimlayer

// Visited returns how many names of its image a reader has read.
func (r *Reader) Visited() int { return r.visited }
