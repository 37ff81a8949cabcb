"""Result rows and what is made of them; nothing here imports torch."""
