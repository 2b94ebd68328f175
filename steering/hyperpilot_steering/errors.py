class WrongInput(Exception):
    """What the caller gave cannot be used; the text says what is wrong and what to do."""
