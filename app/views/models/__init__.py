"""May I trust this forecast?"""
