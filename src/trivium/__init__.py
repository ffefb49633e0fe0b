"""Trivium: how do models learn, and which way of learning is worth its price?"""
