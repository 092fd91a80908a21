//! Bans clients that offend again and again, as a tower layer, with a deny-list file that people can read.
