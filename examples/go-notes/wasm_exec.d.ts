/** The script of your own Go, which the build copies here: it makes a global class that `goApp` finds. */
export {}
