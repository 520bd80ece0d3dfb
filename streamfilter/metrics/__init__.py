"""How results are measured, in one place: the audit and the evaluation of training take their numbers from here."""
