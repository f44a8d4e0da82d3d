"""The executable: parse, call motionrft, print. No maths here."""
